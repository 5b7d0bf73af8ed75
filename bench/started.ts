import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** A program of this folder that prints its port and serves until it is disposed. */
export interface Started extends Disposable {
  readonly port: number
  readonly child: ChildProcess
}

/**
 * Starts it.
 *
 * @param settings its first argument, as JSON
 * @throws Error when it ends before it has said its port
 */
export async function start(module: URL, settings: Readonly<Record<string, unknown>> = {}): Promise<Started> {
  const path = fileURLToPath(module)
  const child = spawn(process.execPath, ['--conditions=@inmesh/source', path, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.once('data', line => resolve(Number(line)))
    child.once('exit', code => reject(new Error(`${path} ended with ${code}`)))
  })
  return { port, child, [Symbol.dispose]: () => child.kill() }
}
