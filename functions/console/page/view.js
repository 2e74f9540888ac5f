// The view library: Preact, with htm in the place of JSX, so that there is nothing to build.
import { h } from "./preact.js";
import htm from "./htm.js";

export { render } from "./preact.js";
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "./hooks.js";
export const html = htm.bind(h);
