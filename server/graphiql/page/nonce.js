// The dialogs of GraphiQL add a style element, which the page's policy allows
// with this nonce only.
window.__webpack_nonce__ = document.getElementById('nonce').dataset.nonce;
