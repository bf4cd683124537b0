"""lab-alerts: flags possible blood findings in laboratory panels, and says why.

Its one law: nothing but the version stands here, because every tool that asks for it imports this file.
"""

__version__ = "0.1.0"
