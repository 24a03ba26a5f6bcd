// @ts-check
// Input methods: keys that compose a character belong to them, and not to the page.

const IN_COMPOSITION = 229; // Safari ends the composition before it sends the Enter that confirms it

/** Whether a key is part of a composition, or confirms one.
 *
 * @param {KeyboardEvent} event */
export function isComposing(event) {
  return event.isComposing || event.keyCode === IN_COMPOSITION;
}
