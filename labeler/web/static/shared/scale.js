// Axes: round numbers for ticks, and where a value lies.

/** About `count` round numbers that span [low, high]: { low, high, ticks }. */
export function niceScale(low, high, count = 4, whole = false) {
  if (!(high > low)) [low, high] = [Math.min(low, 0), low > 0 ? low * 1.25 : low + 1];
  let step = niceStep((high - low) / count);
  if (whole) step = Math.max(1, Math.round(step));
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  const ticks = [];
  for (let number = first; number <= last; number += 1) ticks.push(Number((number * step).toPrecision(12)));
  return { low: ticks[0], high: ticks[ticks.length - 1], ticks };
}

/** 1, 2 or 5 times a power of ten, the first that is no less. */
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((each) => each * power >= rough - 1e-12);
  return factor * power;
}

/** Which of `count` places get a label if there is room for `most`: evenly spaced, the last one too. */
export function spaced(count, most) {
  const step = Math.max(1, Math.ceil(count / Math.max(1, most)));
  const found = [];
  for (let index = count - 1; index >= 0; index -= step) found.unshift(index);
  return found;
}
