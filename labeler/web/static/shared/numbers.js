// @ts-check
// Numbers as people read them.

/** A share with its 95 % interval.
 *
 * @typedef {{ value: number, low: number, high: number }} Share */

/** "81 %"
 *
 * @param {number} share */
export function percent(share) {
  return `${hundredths(share)} %`;
}

/** "[66, 91]", to stand after a percentage; it is not broken over two lines.
 *
 * @param {{ low: number, high: number }} range */
export function interval({ low, high }) {
  return `[${hundredths(low)},\u00a0${hundredths(high)}]`;
}

/** @param {number} share */
function hundredths(share) {
  return Math.round(100 * share);
}

/** Whether a value is known.
 *
 * @param {unknown} value
 * @returns {value is number} */
export function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}
