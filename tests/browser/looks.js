// What is wrong with how a page looks, as lists of texts; each list is empty for a good page.
({
  // texts that reach beyond the window or out of their own box
  cutOff: () => [...document.querySelectorAll("body *")]
    .filter((e) => {
      if (!e.textContent.trim() || e.closest("svg, .hidden, .scroll") || getComputedStyle(e).display === "inline") return false;
      const box = e.getBoundingClientRect();
      return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1 || e.scrollWidth > e.clientWidth + 2);
    })
    .map((e) => `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 40)}`),

  // texts that lie on each other
  overlapping: () => {
    const texts = [], found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const unseen = "style, script, title, .hidden, nav, details:not([open]) > :not(summary)";
    for (let node; (node = walker.nextNode()); ) {
      const parent = node.parentElement, said = node.textContent.trim();
      if (!said || parent.closest(unseen)) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) texts.push({ box, said: said.slice(0, 30), parent });
    }
    texts.forEach((a, k) => texts.slice(k + 1).forEach((b) => {
      const wide = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const high = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      const inside = a.parent.contains(b.parent) || b.parent.contains(a.parent);
      if (wide > 2 && high > 5 && !inside) found.push(`${a.said} | ${b.said}`);
    }));
    return found;
  },

  // texts with a contrast below 4.5 to 1: Web Content Accessibility Guidelines 2.2, criterion 1.4.3
  faint: () => {
    const channel = (x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    const light = (colour) => {
      const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map((x) => channel(x / 255));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (e) => {
      for (; e; e = e.parentElement) {
        const colour = getComputedStyle(e).backgroundColor;
        if (!/, 0\)$/.test(colour)) return colour;
      }
      return "rgb(255, 255, 255)";
    };
    const ownText = (e) => [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    return [...document.querySelectorAll("body *:not(svg *, script, style, title, button:disabled)")]
      .filter(ownText)
      .map((e) => {
        const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.trim().slice(0, 30)];
      })
      .filter(([ratio]) => ratio < 4.5)
      .map(([ratio, said]) => `${ratio.toFixed(2)}: ${said}`);
  },
})
