// Owns what of a URL may be shown or kept: passwords, tokens and signatures in it are left out of messages and receipts.

/** Names in the query of a URL whose values open a door: presigned requests, WLCG tokens, XRootD and EOS opaque data. */
const SECRET =
  /^(x-amz-(signature|credential|security-token)|signature|sig|awsaccesskeyid|authz|access_token|token|xrd\.(wantprot|gsi.*)|xrdhttptk|eos\.encauthz|cap\.(sym|msg)|x-goog-(signature|credential))$/i;
const URL_ANYWHERE = /[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]+/gi;

/** Text with `...` for what is secret in the URLs in it. */
export function withoutSecrets(text: string): string {
  return text.includes('://') ? text.replace(URL_ANYWHERE, hideIn) : text;
}

function hideIn(text: string): string {
  const hidden = text.replace(/^([a-z][a-z0-9+.-]*:\/\/)([^/?#@]*)@/i, (_, scheme: string, user: string) => {
    const name = user.split(':')[0]!;
    return user.includes(':') ? `${scheme}${name}:...@` : `${scheme}${name}@`;
  });
  const at = hidden.indexOf('?');
  if (at < 0) return hidden;
  const query = hidden.slice(at + 1).replace(/([^&=#]+)=([^&#)]*)/g, (pair, name: string) => {
    return SECRET.test(decoded(name)) ? `${name}=...` : pair;
  });
  return `${hidden.slice(0, at)}?${query}`;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
