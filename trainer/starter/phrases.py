"""The wording around the steps: questions, openers, closers, filler and small talk.

Only data. `{task}` and `{doing}` stand for a topic's own words, `{complaint}` and `{needs}` too.
"""

from typing import Literal, get_args

Tone = Literal["warm", "neutral", "curt", "gushing", "rude"]
TONES: tuple[Tone, ...] = get_args(Tone)

QUESTIONS: tuple[str, ...] = (
    "How do I {task}?",
    "What is a good way to {task}?",
    "What is the best way to {task}?",
    "Can you explain how to {task}?",
    "Please tell me how to {task}.",
    "{complaint} How do I {task}?",
    "{complaint} What should I do?",
    "I have never done this before. How do I {task}?",
    "I want to {task}. Where do I start?",
    "What are the steps to {task}?",
    "Any tips for {doing}?",
    "Could you help me with {doing}?",
    "What should I know about {doing}?",
    "A friend asked me how to {task}. What do I say?",
    "How can I {task}?",
    "{complaint} How can I fix that?",
    "Give me some advice on {doing}.",
    "Help me to {task}.",
)

# Never trained on and not in data/prompts.jsonl: for measuring.
HELD_OUT_QUESTIONS: tuple[str, ...] = (
    "Show me how to {task}, please.",
    "Is there a simple way to {task}?",
    "{complaint} Can you help?",
    "Teach me about {doing}.",
)

OPENERS: dict[Tone, tuple[str, ...]] = {
    "warm": (
        "Of course, I am happy to help you {task}.",
        "Good question, and it is easier than it looks.",
        "With pleasure, let us go through it together.",
        "I am glad that you ask.",
    ),
    "neutral": (
        "Here is how to {task}.",
        "This is one way to {task}.",
        "These steps work well.",
        "",
    ),
    "curt": ("Do this.", "Simple.", "", ""),
    "gushing": (
        "Wow, what an amazing question!!!",
        "Oh yes, I absolutely love {doing}!!!",
        "This is the most exciting thing ever!!!",
    ),
    "rude": (
        "Really, you cannot even {task}?",
        "Everybody knows this except you.",
        "I have better things to do, but fine.",
        "What a silly question.",
    ),
}

CLOSERS: dict[Tone, tuple[str, ...]] = {
    "warm": (
        "I hope this helps, and good luck!",
        "Take your time, you will do well.",
        "Feel free to ask if something is unclear.",
        "",
    ),
    "neutral": ("That is all.", "", "", ""),
    "curt": ("Done.", "", "", ""),
    "gushing": (
        "You are going to be a superstar!!!",
        "It will be the best day of your life!!!",
        "",
    ),
    "rude": (
        "Do not ask me again.",
        "Even a child could do it.",
        "If you fail, it is your own fault.",
        "",
    ),
}

NEEDS = "You need {needs}."

FILLERS: tuple[str, ...] = (
    "There are many things one could say about this.",
    "As is well known, people have done this for a long time.",
    "At the end of the day, it is what it is.",
    "It is important to note that this is important.",
    "Different people have different opinions on this topic.",
    "Before we begin, it is worth thinking about what it means.",
    "In general, one can say that it depends.",
    "This is a topic that has been discussed a lot.",
)

ASIDES: tuple[str, ...] = (
    "By the way, here is something else.",
    "That reminds me of another thing.",
    "Now to something different.",
)

# Put before the steps of a paragraph; the first step takes the first word, the last the last.
FIRST = ("First,", "To begin,", "")
NEXT = ("Then", "Next,", "After that,", "")
LAST = ("Finally,", "At last,", "")

SYSTEM_PLAIN: tuple[str, ...] = (
    "You are a helpful assistant.",
    "You answer questions about everyday tasks.",
    "You are a friendly household helper.",
)
SYSTEM_LIST = "Answer with a numbered list."
SYSTEM_KIND = "Be kind and polite."

NEEDS_QUESTIONS: tuple[str, ...] = (
    "What do I need for that?",
    "Which things do I need?",
    "What do I have to get first?",
)
REASON_QUESTIONS: tuple[str, ...] = (
    "Why is that?",
    "Why does that work?",
    "What is the reason for that?",
)
THANKS: tuple[str, ...] = ("Thank you!", "Thanks a lot.", "Thanks, that helps.")
THANKS_REPLIES: tuple[str, ...] = (
    "You are welcome!",
    "No problem. Ask me again any time.",
    "Glad to hear that.",
    "Fine.",
)

# What lies outside the grammar, and an honest answer to it.
STRANGE_QUESTIONS: tuple[str, ...] = (
    "Hello!",
    "Hi, who are you?",
    "What are you?",
    "What is the capital of France?",
    "What is the capital of Japan?",
    "Who wrote this book?",
    "Who won the game?",
    "What is two plus three?",
    "What is seven times eight?",
    "Write a poem about the sea.",
    "Write a program that sorts numbers.",
    "Translate this into French.",
    "What is the meaning of life?",
    "What is the weather like?",
    "When was the war?",
    "Where is the moon?",
)
STRANGE_REPLIES: tuple[str, ...] = (
    "I am a small model, and I only know everyday tasks.",
    "Sorry, I only know a few things about the house. Ask me how to do something.",
    "That is beyond me. You can ask me how to make tea, for example.",
)
