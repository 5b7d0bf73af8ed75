import { resolve } from 'node:path'
import type { JsonReader } from './json-reader.ts'

/** One control plane. */
export interface XdsServer {
  /** A gRPC target: `host:port`, `dns:///host:port`, `unix:///path`. */
  readonly uri: string
  readonly credentials: XdsCredentials
  /** All of them are shown with every stream (gRFC A97). */
  readonly callCredentials: readonly XdsCallCredentials[]
  /** As given; those that are not known mean nothing. */
  readonly features: readonly string[]
  /** Whether to speak incremental xDS first. */
  readonly delta: boolean
}

/** How a channel to a control plane is secured. Paths are absolute. */
export type XdsCredentials =
  | { readonly kind: 'insecure' }
  /** Mutual TLS with the workload's own identity; the server must be a control plane of the same trust domain. */
  | { readonly kind: 'identity' }
  | {
      readonly kind: 'tls'
      /** `undefined`: the system roots. */
      readonly caCertificateFile: string | undefined
      readonly identity: { readonly certificateFile: string; readonly privateKeyFile: string } | undefined
    }

/** Who a stream says that it is for: the token in a file, whose path is absolute. */
export interface XdsCallCredentials {
  readonly kind: 'jwt-token-file'
  readonly path: string
}

/** `server_features` that ask for incremental xDS. */
const deltaFeatures = ['inmesh.delta', 'xds_delta']

/** The part of a server that says whether two mean the same: where, how secured, and with which features. */
export function xdsServerKey({ uri, credentials, callCredentials, features, delta }: XdsServer): string {
  return JSON.stringify([uri, credentials, callCredentials, [...features].sort(), delta])
}

/**
 * Reads an entry of `xds_servers`.
 *
 * @throws the error of the reader, naming the path
 */
export function readServer(server: JsonReader): XdsServer {
  const uri = server.string('server_uri')
  if (!uri) throw server.error('server_uri', 'must be set: the host:port of the control plane')
  const features = server.strings('server_features')
  return {
    uri,
    credentials: readCredentials(server),
    callCredentials: readCallCredentials(server),
    features,
    delta: deltaFeatures.some(name => features.includes(name)),
  }
}

/** The first kind that is supported wins (gRFC A27). */
function readCredentials(server: JsonReader): XdsCredentials {
  const kinds: string[] = []
  for (const entry of server.array('channel_creds')) {
    const kind = entry.string('type') ?? ''
    if (kind === 'insecure') return { kind }
    if (kind === 'tls') return readTls(entry.object('config'))
    kinds.push(JSON.stringify(kind))
  }
  const listed = kinds.length > 0 ? `${kinds.join(', ')} not supported` : 'none given'
  throw server.error('channel_creds', `${listed}: must have "insecure" or "tls"`)
}

/** Every kind that is supported counts, and none has to be there (gRFC A97). */
function readCallCredentials(server: JsonReader): XdsCallCredentials[] {
  return server
    .array('call_creds')
    .filter(entry => entry.string('type') === 'jwt_token_file')
    .map(entry => {
      const path = entry.object('config')?.string('jwt_token_file')
      if (!path) throw entry.error('config', 'must have jwt_token_file: the path of the token')
      return { kind: 'jwt-token-file', path: resolve(path) }
    })
}

function readTls(config: JsonReader | undefined): XdsCredentials {
  const path = (field: string) => {
    const value = config?.string(field)
    return value ? resolve(value) : undefined
  }
  const certificateFile = path('certificate_file')
  const privateKeyFile = path('private_key_file')
  if (config && !certificateFile !== !privateKeyFile) {
    const [missing, given] = certificateFile ? ['private_key_file', 'certificate_file'] : ['certificate_file', 'private_key_file']
    throw config.error(missing, `must be set, since ${given} is`)
  }
  return {
    kind: 'tls',
    caCertificateFile: path('ca_certificate_file'),
    identity: certificateFile && privateKeyFile ? { certificateFile, privateKeyFile } : undefined,
  }
}
