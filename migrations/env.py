"""Runs the migrations inside a transaction that ``service.storage.schema`` has opened.

Law: all steps of a run are kept together or not at all, on both databases.
"""

from alembic import context

from service.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can undo a changed table like any other statement, once the driver's own transactions are off.
    transactional_ddl=True,
    # SQLite changes a table by making a new one and copying.
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
