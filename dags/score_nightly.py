"""Score the book every night with the champion, and with the challenger in its shadow."""

from airflow.sdk import DAG

from tollgate_airflow import forms
from tollgate_airflow.assets import SCORES
from tollgate_airflow.operator import TollgateOperator

ABOUT = """
# Score nightly
Every night at 02:00 UTC (`cron` in params.yaml); by hand, for a book and a day.

The champion is pinned once, at the start: a promotion in mid-run changes nothing in it. The shards are scored side by
side, the counts are audited (`population = scored + refused`), and one atomic replace publishes the partition: a reader
sees the old one or the new one. Running a night again gives the same bytes. Emits `scores` with the key `BOOK|DAY`,
which starts `monitor_drift`.
"""

with DAG("score_nightly", schedule=forms.cron("score_nightly"), catchup=False, max_active_runs=2,
         default_args=forms.within(forms.STEP), params={"book": forms.book(), "as_of": forms.as_of()},
         tags=["tollgate", "scores"], doc_md=ABOUT) as dag:
    pin = TollgateOperator(
        task_id="pin", command=["score", "pin", forms.BOOK], returns="shards",
        options={"as-of": forms.AS_OF, "run-id": forms.RUN},
        doc_md="Pin the champion and the challenger, and part the night's applications into shards.")
    shards = TollgateOperator.partial(
        task_id="shard", command=["score", "shard", forms.RUN], each=["shard"], map_index_template=forms.MAP_NAME,
        doc_md="One shard: scores, decisions, and reason codes where the decision is to decline.",
    ).expand(item=pin.output)
    publish = TollgateOperator(
        task_id="publish", command=["score", "publish", forms.RUN], outlets=[SCORES],
        partition="{{ answer.book }}|{{ answer.as_of }}",
        doc_md="Audit the counts and publish the partition in one atomic replace.")

    shards >> publish
