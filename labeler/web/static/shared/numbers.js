// Numbers as people read them.

/** "81 %" */
export function percent(share) {
  return `${hundredths(share)} %`;
}

/** "[66, 91]", to stand after a percentage; it is not broken over two lines. */
export function interval({ low, high }) {
  return `[${hundredths(low)},\u00a0${hundredths(high)}]`;
}

function hundredths(share) {
  return Math.round(100 * share);
}

export function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}
