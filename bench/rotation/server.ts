import type { AddressInfo } from 'node:net'
import { Server } from '@grpc/grpc-js'
import { settings } from '../contender.ts'
import { echoService } from '../grpc-unary/echo-service.ts'
import { json1k } from '../upstream.ts'
import { joinMesh } from './mesh.ts'

/** What {@link ../rotation.ts} asks of this process. */
export interface RotationServerSettings {
  readonly folder: string
  readonly protocol: 'http' | 'grpc'
}

// Prints its port.
const { folder, protocol } = settings<RotationServerSettings>()
const mesh = await joinMesh(folder, 'server', [])
if (protocol === 'grpc') {
  const server = new Server()
  const echo = (call: { request: Buffer }, callback: (error: null, value: Buffer) => void) => callback(null, call.request)
  server.addService(echoService, { Unary: echo })
  const { port } = await mesh.serveGrpc(server, { host: '127.0.0.1' })
  process.stdout.write(`${port}\n`)
} else {
  const server = mesh.createServer((_request, response) => response.end(json1k))
  server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
}
