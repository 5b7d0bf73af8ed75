import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { WorkloadIdentity } from '../../src/security/certificate-provider.ts'

/** Where an agent may be. */
export function agentPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-agent-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return join(folder, 'agent.sock')
}

/** A SPIFFE agent that answers what the test tells it. */
export async function startWorkloadApi(t: TestContext, path = agentPath(t)) {
  const streams: ServerHttp2Stream[] = []
  const seen: Record<string, unknown>[] = []
  let refusal: { readonly code: number; readonly message: string } | undefined
  let arrived: () => void = () => {}
  const server = createServer()
  server.on('stream', (stream, headers) => {
    seen.push({ path: headers[':path'], security: headers['workload.spiffe.io'] })
    stream.on('error', () => {})
    if (refusal !== undefined) {
      const status = { 'grpc-status': String(refusal.code), 'grpc-message': refusal.message }
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...status }, { endStream: true })
    } else {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '14', 'grpc-message': 'going away' }))
      streams.push(stream)
    }
    arrived()
  })
  const sessions = new Set<import('node:http2').ServerHttp2Session>()
  server.on('session', session => sessions.add(session))
  server.listen(path)
  await once(server, 'listening')
  const stop = () => {
    for (const session of sessions) session.destroy()
    // Its socket is gone with it.
    server.close()
  }
  t.after(stop)
  return {
    stop,
    socket: `unix://${path}`,
    seen,
    /** Resolves with the next call. */
    call: () =>
      new Promise<void>(resolve => {
        arrived = resolve
      }),
    refuse(code: number, message: string) {
      refusal = { code, message }
    },
    accept() {
      refusal = undefined
    },
    send: (message: Uint8Array) => {
      const frame = Buffer.alloc(5 + message.length)
      frame.writeUInt32BE(message.length, 1)
      frame.set(message, 5)
      streams.at(-1)?.write(frame)
    },
    end: () => streams.at(-1)?.end(),
  }
}

/** `X509SVIDResponse` with one identity. */
export function svidResponse({ svid, bundles }: WorkloadIdentity, crls = 0): Uint8Array {
  const der = (certificates: readonly { readonly raw: Buffer }[]) => Buffer.concat(certificates.map(({ raw }) => raw))
  const own = new BinaryWriter()
  own.tag(1, WireType.LengthDelimited).string(svid.spiffeId)
  own.tag(2, WireType.LengthDelimited).bytes(der(svid.certificateChain))
  own.tag(3, WireType.LengthDelimited).bytes(svid.privateKey.export({ type: 'pkcs8', format: 'der' }))
  own.tag(4, WireType.LengthDelimited).bytes(der(bundles.get(svid.trustDomain)?.authorities ?? []))
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(own.finish())
  for (let left = crls; left > 0; left--) writer.tag(2, WireType.LengthDelimited).bytes(Buffer.from('x'))
  for (const [trustDomain, { authorities }] of bundles) {
    if (trustDomain === svid.trustDomain) continue
    const entry = new BinaryWriter()
    entry.tag(1, WireType.LengthDelimited).string(`spiffe://${trustDomain}`)
    entry.tag(2, WireType.LengthDelimited).bytes(der(authorities))
    writer.tag(3, WireType.LengthDelimited).bytes(entry.finish())
  }
  return writer.finish()
}
