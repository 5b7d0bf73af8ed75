/** Larger answers are not read. */
const maxBytes = 1024 * 1024

/** Where an issuer tells of itself (OpenID Connect Discovery 1.0, section 4). */
const discoveryPath = '/.well-known/openid-configuration'

/**
 * Fetches a key set as jose asks for it: from where it is said to be and from nowhere else, and not without end. Where an issuer tells of
 * itself, its keys are fetched from where it says that they are.
 */
export async function fetchKeys(url: string, options: RequestInit): Promise<Response> {
  const answer = await fetchWhole(url, options)
  if (!url.endsWith(discoveryPath) || !answer.ok) return answer
  const document: unknown = await answer.json()
  const uri = typeof document === 'object' && document !== null && 'jwks_uri' in document ? document.jwks_uri : undefined
  if (typeof uri !== 'string' || !/^https?:\/\//.test(uri)) throw new Error(`${url} names no jwks_uri`)
  return fetchWhole(uri, options)
}

async function fetchWhole(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...options, redirect: 'error' })
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > maxBytes) throw new Error(`the answer of ${url} is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return new Response(Buffer.concat(chunks), { status: response.status, headers: { 'content-type': 'application/json' } })
}
