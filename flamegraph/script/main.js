/* SPDX-License-Identifier: MIT */
/* The page comes alive. */

controls.append(input, caseButton, resetButton);
holder.append(controls);
svg.insertBefore(holder, frames);
svg.append(footer, details, matched);
svg.removeAttribute("viewBox");
svg.setAttribute("width", "100%");
frames.classList.add("live");
frames.setAttribute("role", "tree");
frames.setAttribute("aria-label", "Call stacks, " + (icicle ? "callers above callees" : "callees above callers"));
matched.setAttribute("role", "status");
details.setAttribute("aria-live", "polite");
recall();
listen();
arrange();
showDetails(-1);
if (!icicle && svg === document.documentElement)
    window.scrollTo(0, Number(svg.getAttribute("height")));
