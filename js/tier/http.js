// HTTP actions: the router of http.js, which finds and runs the handler (spec 04 section 6.2).

// "ok", what there is instead, or "thrown", with the exception as the result.
export function findRoute(state) {
  const { method, path } = state.request;
  try {
    if (!("default" in state.entry)) {
      return "absent";
    }
    const router = state.entry.default;
    if (typeof router !== "object" || router === null || router.isRouter !== true) {
      return "unrouted";
    }
    state.fn = router;
    const found = router.lookup(path, method);
    if (typeof found !== "object" || found === null) {
      return "unroutable";
    }
    state.route = found[2];
    return "ok";
  } catch (e) {
    state.result = e;
    return "thrown";
  }
}

export function runRequest(state, request) {
  return state.fn.runRequest(request, state.request.path);
}
