"""The WSGI entry: what gunicorn imports.

Its one law: read the environment once, hand it to create_app, nothing else.
"""

import os

from service.app import create_app
from service.config import Settings

app = create_app(Settings.from_environ(os.environ))
