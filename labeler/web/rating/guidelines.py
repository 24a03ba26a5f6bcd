"""How raters are told to choose: the service's own guidelines, or ours, as safe HTML."""

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.domain.labels import trainable
from labeler.domain.states import Choice
from labeler.web.rating.render import render_text

OURS = """
Read both replies to the end, then choose the one you would rather get.

- **Right and to the point** comes before style.
- **Complete, but no padding.** Longer is not better by itself.
- **Much better** if you didn't have to think about it.
- **Tie** if you don't mind which one you get. If both are poor, choose the one that is less
  so; **both bad** if you can't.
- **Skip** what you can't judge.
- **Edit** a reply if you know how it should read: your text trains the policy too.

Your choices train the policy. All votes are kept and exported. Skips never count towards the next
update; ties and both bad {count}.
"""
COUNT = "count, too"
COUNT_NOT = "do not count either, as this service is set"


def guidelines_html(settings: Settings) -> str:
    """The guidelines as HTML. Raises BadInput if the file of the settings cannot be read."""
    if settings.guidelines is None:
        count = COUNT if Choice.TIE in trainable(settings.vote_rules) else COUNT_NOT
        return render_text(OURS.strip().format(count=count))
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
