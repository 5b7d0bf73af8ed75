import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { WorkloadCertificate } from '../support/workload-certificate.ts'

/** One request, written as `CALLER METHOD TARGET [NAME:VALUE …]`. */
export interface WorkloadCall {
  /** Whose certificate it comes with; `plain`: in plain text; `nobody`: by TLS without a certificate. */
  readonly caller: string
  readonly method: string
  readonly target: string
  /** Name, value, name, value: as they are sent. */
  readonly headers: readonly string[]
  /** Where on the loopback interface it comes from. */
  readonly from: string
  readonly isHttp10: boolean
}

/**
 * Reads a call. Of the headers, `host` is `shop.test` unless it is given, `token:NAME` is the named token as a bearer and `<NAME>` the token
 * itself, `_` is a space; `from` is no header but the caller's address, and `http` the version.
 */
export function parseCall(written: string, tokens: Readonly<Record<string, string>>): WorkloadCall {
  const withTokens = (text: string) => text.replace(/<(\w+)>/g, (_, name: string) => tokens[name] ?? '')
  const [caller = '', method = '', target = '', ...rest] = written.split(' ')
  const pairs = rest.map(each => {
    const colon = each.indexOf(':')
    return [each.slice(0, colon), withTokens(each.slice(colon + 1).replaceAll('_', ' '))] as const
  })
  const given = new Map(pairs)
  const headers = pairs.flatMap(([name, value]) => {
    if (name === 'from' || name === 'http') return []
    return name === 'token' ? ['authorization', `Bearer ${tokens[value]}`] : [name, value]
  })
  const host = given.has('host') ? [] : ['host', 'shop.test']
  return {
    caller,
    method,
    target: withTokens(target),
    headers: [...host, ...headers],
    from: given.get('from') ?? '127.0.0.1',
    isHttp10: given.get('http') === '1.0',
  }
}

/** Asks a workload at a port of the loopback interface; the answer is its status, or `refused` where there is none. */
export async function askWorkload(
  port: number,
  call: WorkloadCall,
  secrets: Readonly<Record<string, WorkloadCertificate>>,
): Promise<number | 'refused'> {
  if (call.isHttp10) return askByHttp10(port, call)
  const { caller, method, target, headers, from } = call
  const options = { host: '127.0.0.1', port, localAddress: from, method, path: target, headers: [...headers], agent: false }
  try {
    const response = await answered(caller === 'plain' ? options : { ...options, ...tlsOf(secrets, caller) })
    await text(response)
    return response.statusCode ?? 0
  } catch {
    return 'refused'
  }
}

/** `node:http` sends nothing but 1.1. */
async function askByHttp10(port: number, { method, target, headers }: WorkloadCall): Promise<number | 'refused'> {
  const lines = headers.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${headers[index + 1]}\r\n`] : []))
  const socket = connect(port, '127.0.0.1')
  socket.write(`${method} ${target} HTTP/1.0\r\n${lines.join('')}\r\n`)
  const [, status] = /^HTTP\/1\.\d (\d+)/.exec(await text(socket).catch(() => '')) ?? []
  return status === undefined ? 'refused' : Number(status)
}

/** As sidecars do it: which mesh it is for is told by the protocol that is asked for. */
function tlsOf(secrets: Readonly<Record<string, WorkloadCertificate>>, caller: string) {
  const secret = caller === 'nobody' ? undefined : secrets[caller]
  if (secret === undefined && caller !== 'nobody') throw new Error(`nobody is called ${caller}`)
  return {
    ...(secret === undefined ? {} : { cert: secret.certificateChain, key: secret.privateKey }),
    servername: 'shop.test',
    ALPNProtocols: ['istio-http/1.1', 'istio', 'http/1.1'],
    rejectUnauthorized: false,
  }
}

function answered(options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = 'ALPNProtocols' in options ? requestHttps : requestHttp
    send(options, resolve).on('error', reject).end()
  })
}
