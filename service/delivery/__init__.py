"""Messages to the world: one module for each channel, all behind one small door.

Law: a channel sends what it is handed, once, within its time, and says what became of it. It never decides what to
send, when to try again, or what to remember; and while it sends, nobody holds a transaction.
"""
