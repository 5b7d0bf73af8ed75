import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(dirname(here))

/** What every process of the demo has in common. */
export interface Surroundings {
  /** Plaintext, for none of the services. */
  readonly xdsPort: number
  /** xDS and certificates over mutual TLS. */
  readonly securePort: number
  readonly bundlePort: number
  readonly otlpEndpoint: string
  readonly configDir: string
  readonly dataDir: string
  /** Variables of every service that replace the demo's own, such as where it exports to. */
  readonly environment: Readonly<Record<string, string>>
}

/** A process of the demo, with the last lines it wrote in case something goes wrong. */
export class Running {
  readonly name: string
  readonly #child: ChildProcess
  readonly #lines: string[] = []

  constructor(name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#lines.push(...text.split('\n').filter(line => line !== ''))
        this.#lines.splice(0, Math.max(0, this.#lines.length - 200))
      })
    }
  }

  /** The newest lines, oldest first. */
  get lines(): readonly string[] {
    return this.#lines
  }

  get exited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.exited) return
    this.#child.kill(signal)
    await once(this.#child, 'exit')
  }

  /** Sends a message and waits for the answer. */
  async ask<Answer>(question: string): Promise<Answer> {
    this.#child.send(question)
    const [answer] = await once(this.#child, 'message')
    return answer
  }
}

const cli = join(root, 'control-plane/dist/cli.js')

/** A token with which one process gets the identity of a service, as `npx inmesh token create` prints it. */
export async function joinToken(service: string, { dataDir }: Surroundings): Promise<string> {
  const args = [cli, 'token', 'create', '--data', dataDir, '--service', service]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return stdout.trim()
}

/** The control plane, as `npx inmesh serve` starts it. */
export function startControlPlane({ xdsPort, securePort, bundlePort, configDir, dataDir }: Surroundings): Running {
  const ports = ['--xds-port', String(xdsPort), '--secure-port', String(securePort), '--bundle-port', String(bundlePort)]
  // Certificates live so short here that their renewal can be watched.
  const identity = ['--trust-domain', 'bookinfo.test', '--certificate-ttl', '30s']
  const args = [cli, 'serve', '--config', configDir, '--data', dataDir, ...ports, ...identity]
  return new Running('control plane', spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] }))
}

/** A service that knows nothing of the mesh but its environment. */
export function startService(service: string, surroundings: Surroundings, extra: Readonly<Record<string, string>> = {}): Running {
  const env = {
    ...process.env,
    PORT: '0',
    INMESH_CONTROL_PLANE: `127.0.0.1:${surroundings.securePort}`,
    INMESH_SERVICE: service,
    INMESH_CACHE_DIR: join(surroundings.dataDir, 'cache'),
    OTEL_SERVICE_NAME: service,
    OTEL_EXPORTER_OTLP_ENDPOINT: surroundings.otlpEndpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_LOGS_EXPORTER: 'none',
    OTEL_METRIC_EXPORT_INTERVAL: '1000',
    OTEL_METRIC_EXPORT_TIMEOUT: '1000',
    OTEL_BSP_SCHEDULE_DELAY: '500',
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.2',
    ...surroundings.environment,
    ...extra,
  }
  const child = spawn(process.execPath, ['--import', 'inmesh/register', join(here, 'services', `${service}.js`)], {
    cwd: here,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  return new Running(extra.INSTANCE ?? service, child)
}

/** A port of the loopback interface that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}
