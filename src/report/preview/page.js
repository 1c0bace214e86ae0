"use strict";
const form = document.querySelector("form");
const groups = [...document.querySelectorAll(".group")];
const shown = document.getElementById("shown");
const texts = new Map(groups.map((group) => [group, group.textContent.toLowerCase()]));
function isWanted(group, wanted) {
  const clusters = group.dataset.clusters.split(" ");
  return (!wanted.addon || group.dataset.addon === wanted.addon)
    && (!wanted.risk || group.dataset.risk === wanted.risk)
    && (!wanted.cluster || clusters.includes(wanted.cluster))
    && (!wanted.search || texts.get(group).includes(wanted.search.toLowerCase()));
}
function filter() {
  const wanted = Object.fromEntries(new FormData(form));
  let count = 0;
  for (const group of groups) {
    group.hidden = !isWanted(group, wanted);
    count += group.hidden ? 0 : 1;
  }
  shown.textContent = `${count} of ${groups.length} groups`;
}
function restore() {
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    if (form.elements[name]) form.elements[name].value = value;
  }
  filter();
}
form.addEventListener("input", () => {
  filter();
  const wanted = [...new FormData(form)].filter(([, value]) => value);
  history.replaceState(null, "", `#${new URLSearchParams(wanted)}`);
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(() => { history.replaceState(null, "", "#"); filter(); }));
document.getElementById("all").addEventListener("click", () => {
  const open = groups.some((group) => !group.hidden && !group.open);
  for (const group of groups) if (!group.hidden) group.open = open;
});
addEventListener("hashchange", restore);
restore();
