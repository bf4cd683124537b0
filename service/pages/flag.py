"""The page of one flag: the whole explanation, for a person.

Law: it shows what GET /v1/flags/{id} answers, and asks for a key that may read flags.
"""

from flask import Blueprint, render_template

from service import __version__
from service.api import answers, auditing
from service.api.guard import means, scope
from service.storage import history

page = Blueprint("flag_page", __name__, template_folder="templates")


@page.get("/flags/<string:flag_id>")
@scope("flags:read")
def show(flag_id: str) -> str:
    """One flag."""
    found = means()
    with found.database.reading() as connection:
        view = history.flag_view(connection, flag_id)
    auditing.about(view.flag.patient_id)
    flag = answers.flag_view(view, found.catalogue.intended_use)
    return render_template("flag.html", flag=flag, version=__version__)
