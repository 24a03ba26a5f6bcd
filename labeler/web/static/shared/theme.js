// @ts-check
// A classic script that runs before the first paint: light or dark, as the system says, and as it
// changes.

(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.classList.toggle("dark", dark.matches);
  apply();
  dark.addEventListener("change", apply);
})();
