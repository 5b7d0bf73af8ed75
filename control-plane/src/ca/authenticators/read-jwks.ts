import { readFile, stat } from 'node:fs/promises'
import { get as httpGet } from 'node:http'
import { get as httpsGet } from 'node:https'

const maxBytes = 1024 * 1024
const timeoutMs = 5000

/** Where a JWKS is. */
export interface JwksLocation {
  /** `https://…`, `http://…` on loopback, or the path of a file. */
  readonly location: string
  /** PEM of the authorities that the server's certificate may be under. Default: those of Node. */
  readonly ca?: string
}

/** Reads a JWKS: 1 MiB at most, within 5 s, without following redirects. */
export async function readJwks({ location, ca }: JwksLocation): Promise<string> {
  if (!/^https?:\/\//.test(location)) return readWholeFile(location)
  const url = new URL(location)
  if (url.protocol === 'http:' && !['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname))
    throw new Error('a JWKS is read over HTTPS, or from loopback')
  return fetchText(url, ca)
}

async function readWholeFile(path: string): Promise<string> {
  const { size } = await stat(path)
  if (size > maxBytes) throw new Error(`the document exceeds ${maxBytes} bytes`)
  return readFile(path, 'utf8')
}

function fetchText(url: URL, ca: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const get = url.protocol === 'https:' ? httpsGet : httpGet
    const signal = AbortSignal.timeout(timeoutMs)
    const options = { signal, agent: false, headers: { accept: 'application/json' }, ...(ca === undefined ? {} : { ca }) }
    const request = get(url, options, response => {
      const chunks: Buffer[] = []
      let length = 0
      if (response.statusCode !== 200) request.destroy(new Error(`answered with ${response.statusCode}`))
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        length += chunk.length
        if (length > maxBytes) request.destroy(new Error(`the document exceeds ${maxBytes} bytes`))
      })
      response.on('end', () => resolve(Buffer.concat(chunks).toString()))
      response.on('error', reject)
    })
    request.on('error', reject)
  })
}
