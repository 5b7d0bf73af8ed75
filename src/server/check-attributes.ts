import { readRequestHeader } from '../client/route-matcher.ts'
import type { CheckAttributes, CheckedBody, CheckPeer } from '../policies/ext-authz/check-attributes.ts'
import type { ExtAuthzConfig } from '../policies/ext-authz/ext-authz-config.ts'
import type { HeaderSelection } from '../policies/ext-authz/header-selection.ts'
import type { FormatCommand, FormatContext } from '../policies/header-format.ts'
import type { Clock, Random } from '../runtime.ts'
import type { RequestView } from './request-view.ts'

/** A body to tell of, and how much of it has come. */
export interface ReceivedBody extends CheckedBody {
  readonly size: number
}

/** What a filter tells of every request in the same way. */
export interface CheckScope {
  readonly config: ExtAuthzConfig
  readonly isTold: HeaderSelection
  readonly contextExtensions: Readonly<Record<string, string>>
  readonly clock: Clock
  readonly random: Random
}

/** Describes a request as Envoy does. What is empty in it is what only a proxy knows. */
export function checkAttributes(request: RequestView, body: ReceivedBody | undefined, scope: CheckScope): CheckAttributes {
  const { config, isTold, contextExtensions, clock, random } = scope
  const { facts, peer, serverName } = request.connection
  const certificate = config.includesCertificate && peer !== null ? encodeURIComponent(peer.certificate.toString()) : ''
  const { method, path, authority, scheme } = request
  return {
    source: end(facts.sourceAddress, facts.sourcePort, peer?.name ?? '', certificate),
    destination: end(facts.destinationAddress, facts.destinationPort, peer?.ownId ?? '', ''),
    request: {
      id: String(Math.floor(random() * Number.MAX_SAFE_INTEGER)),
      timeMs: clock.wallNow(),
      method,
      headers: headersOf(request, isTold),
      path,
      host: authority,
      scheme,
      size: body?.size ?? 0,
      protocol: request.stream?.protocol ?? 'HTTP/1.1',
      body,
    },
    contextExtensions,
    metadata: metadataOf(request, config.metadataNamespaces),
    serverName: config.includesServerName && serverName !== '' ? serverName : undefined,
  }
}

function end(address: string, port: number, principal: string, certificate: string): CheckPeer {
  // As sockets that take both families write IPv4.
  return { address: address.replace(/^::ffff:(?=\d+\.)/, ''), port, principal, certificate }
}

/** `Host` is `:authority`. */
function headersOf({ method, path, authority, scheme, rawHeaders }: RequestView, isTold: HeaderSelection): readonly string[] {
  const all = [':authority', authority, ':path', path, ':method', method, ':scheme', scheme, ...rawHeaders]
  const told: string[] = []
  for (let at = 0; at < all.length; at += 2) {
    const name = all[at]?.toLowerCase() ?? ''
    if (name !== 'host' && isTold(name)) told.push(name, all[at + 1] ?? '')
  }
  return told
}

function metadataOf(request: RequestView, namespaces: readonly string[]): CheckAttributes['metadata'] {
  const found = namespaces.flatMap(name => {
    const metadata = request.metadataOf(name)
    return metadata === undefined ? [] : [[name, metadata] as const]
  })
  return Object.fromEntries(found)
}

/** What `%COMMANDS%` of added headers read of a request. */
export function formatContextOf(request: RequestView): FormatContext {
  const { facts, serverName } = request.connection
  const commands: Partial<Record<FormatCommand, string>> = {
    PROTOCOL: request.stream?.protocol ?? '',
    DOWNSTREAM_REMOTE_ADDRESS: `${facts.sourceAddress}:${facts.sourcePort}`,
    DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: facts.sourceAddress,
    DOWNSTREAM_REMOTE_PORT: String(facts.sourcePort),
    DOWNSTREAM_LOCAL_ADDRESS: `${facts.destinationAddress}:${facts.destinationPort}`,
    DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: facts.destinationAddress,
    DOWNSTREAM_LOCAL_PORT: String(facts.destinationPort),
    REQUESTED_SERVER_NAME: serverName,
  }
  return {
    requestHeader(name) {
      const value = readRequestHeader(request, name)
      return typeof value === 'string' ? value : value?.[0]
    },
    responseHeader: () => undefined,
    command: name => commands[name],
  }
}
