"""How raters are told to choose: the service's own guidelines, or ours, as safe HTML."""

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.web.rating.render import render_text

OURS = """
Choose the reply you would rather get. Read both to the end first.

- **Right and on the point** comes before style.
- **Complete, but no padding.** Longer is not better in itself.
- **Much better** when you did not have to think about it.
- **Tie** when you would not mind either; **both bad** when neither should be sent.
- **Skip** what you cannot judge.
- **Edit** a reply when you know how it should read: what you write trains the policy too.

Choices between the two replies train the policy. All votes are kept and exported; skips never count
towards the next update, ties and both bad only where the service is set to learn from them.
"""


def guidelines_html(settings: Settings) -> str:
    """The guidelines as HTML. Raises BadInput if the file of the settings cannot be read."""
    if settings.guidelines is None:
        return render_text(OURS.strip())
    try:
        return render_text(settings.guidelines.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"The guidelines {settings.guidelines} cannot be read: {error.strerror}; name a "
            "Markdown file with --guidelines."
        ) from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"The guidelines {settings.guidelines} are not UTF-8 text; save them as such."
        ) from error
