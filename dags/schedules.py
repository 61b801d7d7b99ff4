"""No DAG: red, as an import error of this file, where the entry of a book in `schedules` of params.yaml is wrong.

The files of the airflow DAGs beside it leave such a book out, so that it costs no other book anything.
"""

from tollgate_airflow import books

books.check()
