"""Take in what the lenders' systems put into landing."""

from airflow.sdk import DAG

from tollgate_airflow import forms
from tollgate_airflow.assets import APPLICATIONS, LANDING, OUTCOMES
from tollgate_airflow.operator import TollgateOperator

ABOUT = """
# Ingest and validate
Starts by itself when complete files stand in landing; by hand, to look again or to take in one book only.

Each file is read with explicit types and checked against its book's contract. Good rows replace their partition of
the lake, bad rows go to the quarantine with the reasons, and `received = published + quarantined` holds for every file.
**A red square** is a file that was refused whole: its log names the file, the value and the remedy, and nothing that
was published before is touched. An empty landing is a success.
"""

with DAG("ingest_validate", schedule=[LANDING], catchup=False, max_active_runs=1,
         default_args=forms.RETRIES, params={"book": forms.any_book()}, tags=["tollgate", "lake"],
         doc_md=ABOUT) as dag:
    files = TollgateOperator(
        task_id="list", command=["ingest", "list"], options={"book": "{{ params.book or '' }}"}, returns="files",
        doc_md="The complete files in landing that were not taken in yet, told apart by their fingerprints.")

    taken = TollgateOperator.partial(
        task_id="file", command=["ingest", "file"], each=["book", "name"], outlets=[APPLICATIONS, OUTCOMES],
        partition="{% if answer.partitions %}{{ answer.book }}|{{ answer.partitions | last }}{% endif %}",
        map_index_template=forms.FILE_NAME,
        doc_md="One file: checked, published, its bad rows quarantined. Emits `applications` or `outcomes` with the "
               "newest month that it changed.",
    ).expand(item=files.output)

    # A teardown runs also after a refused file, and does not hide that one was refused.
    taken >> TollgateOperator(
        task_id="audit", command=["ingest", "audit"], options={"book": "{{ params.book or '' }}"},
        doc_md="`received = published + quarantined` for every file that was ever taken in, counted in the lake's own "
               "tables. Red when it does not hold.",
    ).as_teardown(on_failure_fail_dagrun=True)
