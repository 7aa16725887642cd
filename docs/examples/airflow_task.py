"""A task of Airflow: it is tried again where that can help, and a kill is recorded in the ledger."""

from airflow.decorators import task
from airflow.exceptions import AirflowFailException

from bulk_upload import EntriesFailed, upload


@task(retries=5)
def upload_exports(manifest: str, ledger: str) -> dict[str, int]:
    try:
        result = upload(manifest, ledger=ledger, deadline_s=4 * 3600).raise_for_status()
    except EntriesFailed as error:
        raise AirflowFailException(str(error)) from error
    return {state.value: count for state, count in result.states.items()}
