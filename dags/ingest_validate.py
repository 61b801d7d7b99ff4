"""Take in what the lenders' systems put into landing."""

from airflow.sdk import DAG

from tollgate_airflow import forms
from tollgate_airflow.assets import APPLICATIONS, DECISIONS, HISTORIES, LANDING, OUTCOMES
from tollgate_airflow.operator import RefusedFiles, TollgateOperator

ABOUT = """
# Ingest and validate
Starts by itself when complete files stand in landing; by hand, to look again or to take in one book only.

Each book's files are taken in by one task, the oldest delivery first, for a later one may correct an earlier. A file is
read with explicit types and checked against its book's contract. Good rows are published beside what was known before,
bad rows go to the quarantine with the reasons, and `received = published + quarantined` holds for every file.
**A red square at `refused`**: files were refused whole, or could not be read. Its log names each, the value and the
remedy; the others were taken in, and nothing that was published before is touched. An empty landing is a success.
"""

with DAG("ingest_validate", schedule=[LANDING], catchup=False, max_active_runs=1,
         **forms.within(forms.STEP), params={"book": forms.any_book()}, tags=["tollgate", "lake"],
         doc_md=ABOUT) as dag:
    books = TollgateOperator(
        task_id="list", command=["ingest", "list"], options={"book": "{{ params.book or '' }}"}, returns="books",
        doc_md="The books with complete files in landing that were not taken in yet.")

    taken = TollgateOperator.partial(
        task_id="files", command=["ingest", "files"], each=["book"], execution_timeout=forms.LONG,
        outlets=[APPLICATIONS, DECISIONS, HISTORIES, OUTCOMES],
        partition="{% if answer.partitions %}{{ answer.book }}|{{ answer.partitions | last }}{% endif %}",
        events="files", map_index_template=forms.MAP_NAME,
        doc_md="The files of one book, in order: checked, published, their bad rows quarantined. Emits `applications`, "
               "`decisions`, `outcomes` and `histories` with the newest month that each file changed.",
    ).expand(item=books.output)

    taken >> RefusedFiles(
        task_id="refused", answers=taken.output,
        doc_md="Red when a file was refused whole or could not be read, with the reason of each.")

    # A teardown runs whatever became of the files, and hides nothing of it.
    taken >> TollgateOperator(
        task_id="audit", command=["ingest", "audit"], options={"book": "{{ params.book or '' }}"},
        doc_md="`received = published + quarantined` for every file that was ever taken in, counted in the lake's own "
               "tables. Red when it does not hold.",
    ).as_teardown(on_failure_fail_dagrun=True)
