// A page opened from a disk may not read its neighbours: the search then shows titles, without the lines around a hit.
if (location.protocol === "file:") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
