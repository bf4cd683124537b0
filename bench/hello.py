"""The least that Flask can do: answer a short JSON. A baseline.

Law: nothing but Flask and what gunicorn adds.
"""

from flask import Flask, Response, jsonify

app = Flask(__name__)


@app.get("/")
def hello() -> Response:
    """Hello."""
    return jsonify(hello="world")
