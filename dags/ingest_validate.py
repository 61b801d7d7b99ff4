"""Take in what a book's lender put into landing."""

from airflow.sdk import DAG

from tollgate_airflow import assets, forms
from tollgate_airflow.books import scheduled
from tollgate_airflow.operator import RefusedFiles, TollgateOperator

ABOUT = """
# Ingest and validate
Starts by itself when complete files of the book stand in landing; by hand, to look again.

The files are taken in one after the other, the oldest delivery first, for a later one may correct an earlier. A file is
read with explicit types and checked against its book's contract. Good rows are published beside what was known before,
bad rows go to the quarantine with the reasons, and `received = published + quarantined` holds for every file.
**A red square at `refused`**: files were refused whole, or could not be read. Its log names each, the value and the
remedy; the others were taken in, and nothing that was published before is touched. An empty landing is a success.
"""

for book in scheduled():
    with DAG(**book.dag("ingest_validate", "lake"), schedule=[assets.landing(book.name)], max_active_runs=1,
             doc_md=ABOUT):
        files = TollgateOperator(
            task_id="files", command=["ingest", "files", book.name], execution_timeout=forms.LONG,
            outlets=assets.published(book.name), events="files",
            partition="{% if answer.partitions %}{{ answer.book }}|{{ answer.partitions | last }}{% endif %}",
            doc_md="What waits in landing, in order: checked, published, its bad rows quarantined. Emits "
                   "`applications`, `decisions`, `outcomes` and `histories`, each with the newest month that changed.")

        files >> RefusedFiles(
            task_id="refused", answer=files.output,
            doc_md="Red when a file was refused whole or could not be read, with the reason of each.")

        # A teardown runs whatever became of the files, and hides nothing of it.
        files >> TollgateOperator(
            task_id="audit", command=["ingest", "audit"], options={"book": book.name},
            doc_md="`received = published + quarantined` for every file that was ever taken in, counted in the lake's "
                   "own tables. Red when it does not hold.",
        ).as_teardown(on_failure_fail_dagrun=True)
