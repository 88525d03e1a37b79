// The highlighter that mdBook ships doesn't know HCL.
"use strict";
(function () {
  if (typeof hljs === "undefined") return;
  hljs.registerLanguage("hcl", function (hljs) {
    const interpolation = { className: "subst", begin: /[$%]\{/, end: /\}/, contains: [] };
    const string = { className: "string", begin: /"/, end: /"/, contains: [{ begin: /\\./ }, interpolation] };
    const heredoc = hljs.END_SAME_AS_BEGIN({ className: "string", begin: /<<[-~]?(\w+)\s*$/, end: /^\s*(\w+)\s*$/ });
    interpolation.contains.push({ className: "string", begin: /"/, end: /"/ });
    return {
      keywords: { keyword: "resource data variable output locals module provider terraform moved import check for in if else endif endfor", literal: "true false null" },
      contains: [
        hljs.HASH_COMMENT_MODE,
        hljs.C_LINE_COMMENT_MODE,
        hljs.C_BLOCK_COMMENT_MODE,
        heredoc,
        string,
        hljs.NUMBER_MODE,
        { className: "attr", begin: /[A-Za-z_][\w-]*(?=\s*=[^=])/ },
      ],
    };
  });
  const highlight = hljs.highlightElement || hljs.highlightBlock;
  document.querySelectorAll("code.language-hcl").forEach(function (block) {
    block.removeAttribute("data-highlighted");
    highlight(block);
  });
})();
