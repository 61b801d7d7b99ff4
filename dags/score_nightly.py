"""Score the new applications every night and the open portfolio every week, the challenger in the shadow."""

from itertools import product

from airflow.sdk import DAG

from tollgate_airflow import assets, forms
from tollgate_airflow.books import scheduled
from tollgate_airflow.operator import TollgateOperator

ABOUT = """
# Score %s
By the book's `schedules` in params.yaml; by hand, for a day. Who is scored: %s

The models and the rows are pinned once, at the start: a promotion in mid-run changes nothing. The shards are scored
side by side, the counts are audited (`population = scored + refused`), and one atomic commit publishes the night: a
reader sees all of it or nothing. Running a night again gives the same bytes.

A night that is published is scored once more only where a person gives the reason, in the form: it goes into the
ledger, and the rows that counted until then are kept in `superseded`. Shadows cannot hold up the night: `shadow` scores
beside it, and `compare` writes down how far they agree with the champion, or that they failed.
"""
NIGHTS = {"new": ("score_nightly", "the applications of the last month that no other night has scored. The event of "
                  "`scores`, with the key `BOOK|DAY`, starts `monitor_drift`."),
          "portfolio": ("score_portfolio", "every open loan of the book, with its features as of the night.")}
PINNED = "(ti.xcom_pull('pin', key='answer') or {'attempt': '', 'shadows': []})"  # of a pin that failed there is none
ATTEMPT = "{{ " + PINNED + "['attempt'] }}"
SHADOWS = "{{ " + PINNED + "['shadows'] | join(' ') }}"

for book, (population, (name, who)) in product(scheduled(), NIGHTS.items()):
    with DAG(**book.dag(name, "scores"), schedule=book.cron(name), max_active_runs=1, doc_md=ABOUT % (population, who),
             deadline=book.late(), params={"as_of": forms.as_of(), "again": forms.again()}):
        of = {"as-of": forms.AS_OF, "run-id": forms.RUN, "population": population}
        reopen = TollgateOperator(
            task_id="reopen", command=["score", "reopen", book.name], only_if=forms.AGAIN,
            options={**of, "reason": forms.AGAIN, "by": "{{ dag_run.triggering_user_name or 'unknown' }}"},
            doc_md="Only where the form gives a reason: lets this run replace a published night.", **forms.DECIDES)
        pin = TollgateOperator(
            task_id="pin", command=["score", "pin", book.name], returns="shards", trigger_rule="none_failed",
            options=of, doc_md="Pin the champion, its shadows, and whom they score, in shards.")
        shards = TollgateOperator.partial(
            task_id="shard", command=["score", "shard"], each=["attempt", "shard"], map_index_template=forms.MAP_NAME,
            doc_md="One shard: scores, decisions, and reason codes where the decision is to decline.",
        ).expand(item=pin.output)
        publish = TollgateOperator(
            task_id="publish", command=["score", "publish", ATTEMPT], partition="{{ answer.book }}|{{ answer.as_of }}",
            outlets=[assets.scores(book.name)] if population == "new" else [],
            doc_md="Audit the counts and publish the night in one atomic commit.")
        shadow = TollgateOperator(
            task_id="shadow", command=["score", "shadow", ATTEMPT], only_if=SHADOWS,
            doc_md="The challenger on the same pin; red here is no fault of the night.")
        compare = TollgateOperator(
            task_id="compare", command=["score", "compare", ATTEMPT], only_if=SHADOWS, trigger_rule="all_done",
            doc_md="How the shadows agree with the champion; one that failed is told as such.")
        reopen >> pin >> shadow
        shards >> publish
        [shards, shadow] >> compare
