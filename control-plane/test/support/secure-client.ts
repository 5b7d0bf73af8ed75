import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2, type SecureClientSessionOptions } from 'node:http2'
import { type ConnectionOptions, connect as connectTls, type DetailedPeerCertificate } from 'node:tls'
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { messageFrame } from '../../src/xds/message-frame.ts'

const certificatePath = '/istio.v1.auth.IstioCertificateService/CreateCertificate'

const portOf = (address: string) => Number(address.slice(address.lastIndexOf(':') + 1))

/** The certificates a server presents to a client that trusts nothing yet and sends nothing. */
export async function presentedBy(address: string, options: ConnectionOptions = {}): Promise<X509Certificate[]> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: portOf(address),
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
    ...options,
  })
  await once(socket, 'secureConnect')
  const found = new Map<string, X509Certificate>()
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (next && !found.has(next.fingerprint256)) {
    found.set(next.fingerprint256, new X509Certificate(next.raw))
    next = next.issuerCertificate
  }
  socket.destroy()
  return [...found.values()]
}

/** A connection that checks the server as a client of the mesh does, apart from its SPIFFE ID. */
export async function connectSecurely(address: string, options: SecureClientSessionOptions): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://localhost:${portOf(address)}`, options)
  await once(session, 'connect')
  session.on('error', () => {})
  return session
}

/** What a call ended with, and the messages before. */
export interface CallResult {
  readonly status: string
  readonly message: string
  readonly messages: readonly Buffer[]
}

/** A unary call. */
export async function call(
  session: ClientHttp2Session,
  path: string,
  request: Uint8Array,
  headers: Readonly<Record<string, string | string[]>> = {},
): Promise<CallResult> {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  })
  let end: Readonly<Record<string, unknown>> = {}
  const chunks: Buffer[] = []
  stream.on('response', received => {
    if ('grpc-status' in received) end = received
  })
  stream.on('trailers', received => {
    end = received
  })
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.end(messageFrame(request))
  await once(stream, 'close')
  return { status: String(end['grpc-status']), message: String(end['grpc-message']), messages: messagesOf(Buffer.concat(chunks)) }
}

/** `CreateCertificate`: the chain, or the status it ended with. */
export async function createCertificate(
  session: ClientHttp2Session,
  csr: string,
  headers: Readonly<Record<string, string | string[]>> = {},
) {
  const request = new BinaryWriter().tag(1, WireType.LengthDelimited).string(csr).finish()
  const { status, message, messages } = await call(session, certificatePath, request, headers)
  const reader = new BinaryReader(messages[0] ?? new Uint8Array())
  const chain: string[] = []
  while (reader.pos < reader.len) {
    reader.tag()
    chain.push(reader.string())
  }
  return { status, message, chain }
}

function messagesOf(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = []
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1)
    messages.push(bytes.subarray(at + 5, end))
    at = end
  }
  return messages
}
