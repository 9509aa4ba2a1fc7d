/** Makes of a style sheet a module that puts it on the page, less its comments and the spaces that only people need. */
module.exports = source => {
  const short = source
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .replace(/\s*([{};,>])\s*/g, '$1')
    .replace(/:\s+/g, ':')
    .replace(/;}/g, '}')
    .trim();
  return `document.head.appendChild(document.createElement('style')).textContent = ${JSON.stringify(short)};`;
};
