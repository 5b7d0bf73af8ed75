import { once } from 'node:events'
import { connect } from 'node:tls'
import { Client } from '@grpc/grpc-js'
import { report, settings } from '../contender.ts'
import { echoService } from '../grpc-unary/echo-service.ts'
import { json1k } from '../upstream.ts'
import { joinMesh } from './mesh.ts'

/** What {@link ../rotation.ts} asks of this process. */
export interface RotationSettings {
  readonly folder: string
  readonly protocol: 'http' | 'grpc'
  /** Of the server. */
  readonly port: number
  readonly seconds: number
  readonly concurrency: number
}

const { folder, protocol, port, seconds, concurrency } = settings<RotationSettings>()
const mesh = await joinMesh(folder, 'client', ['server'])
const body = Buffer.from(json1k)

async function overHttp(): Promise<void> {
  const response = await mesh.fetch('http://server/')
  if ((await response.arrayBuffer()).byteLength !== body.length) throw new Error(`status ${response.status}`)
}

const client = mesh.grpcClient(Client, 'server')
const { path, requestSerialize, responseDeserialize } = echoService.Unary
const overGrpc = () =>
  new Promise<void>((resolve, reject) =>
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, body, error => (error ? reject(error) : resolve())),
  )
const call = protocol === 'http' ? overHttp : overGrpc

/** What the server shows to everybody. */
const leaves = new Set<string>()
const issuers = new Set<string>()
async function look(): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1', 'h2'] })
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  const { fingerprint256, issuer } = socket.getPeerCertificate()
  leaves.add(fingerprint256)
  issuers.add(JSON.stringify(issuer))
  socket.destroy()
}

// Until the server is known; what fails before does not count.
while (
  !(await call().then(
    () => true,
    () => false,
  ))
);

let [calls, failed] = [0, 0]
const end = performance.now() + seconds * 1000
const looking = setInterval(() => void look().catch(() => {}), 500)
const lane = async () => {
  while (performance.now() < end) {
    calls++
    await call().catch(error => {
      if (failed++ === 0) process.stderr.write(`${error?.cause ?? error}\n`)
    })
  }
}
await Promise.all(Array.from({ length: concurrency }, lane))
clearInterval(looking)
report({ value: failed, calls, perSecond: calls / seconds, certificates: leaves.size, roots: issuers.size })
process.exit()
