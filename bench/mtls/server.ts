import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { join } from 'node:path'
import { settings } from '../contender.ts'
import { json1k } from '../upstream.ts'
import { meshOf } from './mesh.ts'

/** What {@link ../mtls.ts} asks of this process. */
export interface MtlsServerSettings {
  /** `none`: a server of Node, as it is; `tls`: the same with mutual TLS of its own. */
  readonly which: 'none' | 'tls' | 'plain' | 'mtls'
  readonly folder: string
  readonly port: number
}

// Prints its port.
const { which, folder, port } = settings<MtlsServerSettings>()
const app: RequestListener = (_request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end(json1k)
}
const read = (name: string) => readFileSync(join(folder, name))

async function make(): Promise<Server> {
  if (which === 'none') return createServer(app)
  if (which === 'plain' || which === 'mtls') return (await meshOf(folder, `${which}-server.json`, 'server', [])).createServer(app)
  const tls = {
    cert: read('server.crt'),
    key: read('server.key'),
    ca: read('ca.crt'),
    requestCert: true,
    rejectUnauthorized: true,
  }
  return createSecureServer({ ...tls, minVersion: 'TLSv1.3' }, app)
}

const server = await make()
server.keepAliveTimeout = 0
server.listen(port, '127.0.0.1', () => process.stdout.write(`${port}\n`))
