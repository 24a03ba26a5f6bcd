"""A folder as a data set of the Hugging Face hub. The token is the hub's own, and stays there."""

from pathlib import Path

from labeler.domain.errors import BadInput, LivedpoError, first_line


def refuse_upload(repo: str) -> None:
    """Raise BadInput if nothing can be sent to this repository, as far as that is known here."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise BadInput(f"'{repo}' is no name of a repository, such as me/my-labels.") from error
    if constants.HF_HUB_OFFLINE:
        raise BadInput("The hub is off (HF_HUB_OFFLINE); name a folder to write to instead.")
    if get_token() is None:
        raise BadInput(
            "Nobody is logged in to the Hugging Face hub; set HF_TOKEN, or type `hf auth login`."
        )


def upload(folder: Path, repo: str) -> str:
    """Send the folder to this data set, made private if it is new; returns its address.

    Raises LivedpoError if the hub does not take it.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of its own client

    hub = HfApi()
    try:
        made = hub.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        hub.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            repo_type="dataset",
            commit_message="Labelled pairs of livedpo",
        )
    except (HTTPError, OSError, ValueError) as error:
        raise LivedpoError(f"The hub did not take {repo}: {first_line(error)}") from error
    return str(made)
