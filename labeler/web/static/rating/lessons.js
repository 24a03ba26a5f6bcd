// @ts-check
// The practice pairs: what they ask, which votes fit, and what is said of them.

export const LESSONS = [
  {
    prompt: "What is seven times eight?",
    left: "Seven times eight is 56.",
    right: "Numbers are fun! Many people enjoy them at school.",
    task: "Read both replies. Which one would you rather get? Press 1 or 2. Hold Shift if it is much better.",
    votes: ["left"],
    hint: "Reply 1 answers the question, reply 2 does not. Press 1, or Shift and 1 for much better.",
    weaker: "Right. You hardly had to think, so you could have held Shift: much better counts more.",
    praise: "Right, and it is much better.",
  },
  {
    prompt: "Say hello in French.",
    left: "Bonjour!",
    right: "Hello in French is “bonjour”.",
    task: "Both answer well. If you don't mind which one you get, press T for a tie.",
    votes: ["tie"],
    hint: "A fair choice, and it would count. This pair is here for the other key, so press T, too.",
    praise: "A tie. When two replies are equally good, that is the honest answer.",
  },
  {
    prompt: "How do I keep cut flowers fresh?",
    left: "Flowers flowers flowers flowers flowers.",
    right: "I would rather talk about cars.",
    task: "Neither should be sent to anyone. Press B for both bad.",
    votes: ["both_bad"],
    hint: "Neither reply helps. Press B for both bad.",
    praise: "Both bad. You can take back any vote: press U to undo this one.",
    undo: true,
  },
];
