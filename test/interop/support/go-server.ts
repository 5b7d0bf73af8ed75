import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { goProgram } from '../../support/peers.ts'

const folder = 'test/interop/grpc-go'

/** The path of grpc-go's own interop client. */
export const goInteropClient = () => goProgram(folder, 'google.golang.org/grpc/interop/client')

/** Starts grpc-go's own interop server until the test ends, and gives its port. */
export function startGoInteropServer(t: Pick<TestContext, 'after'>, ...flags: readonly string[]): Promise<number> {
  const child = spawn(goProgram(folder, 'google.golang.org/grpc/interop/server'), ['-port', '0', ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, GRPC_GO_LOG_SEVERITY_LEVEL: 'info' },
  })
  t.after(() => child.kill())
  return portIn(child, child.stderr, /interop server listening on .*:(\d+)/)
}

/** Starts the server of `grpc-go/main.go` until the test ends, and gives its port. */
export function startCompressingServer(t: Pick<TestContext, 'after'>): Promise<number> {
  const child = spawn(goProgram(folder), { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  return portIn(child, child.stdout, /:(\d+)$/)
}

/** The port in the first line that `pattern` matches; what follows is read and thrown away. */
async function portIn(child: NodeJS.EventEmitter, output: Readable, pattern: RegExp): Promise<number> {
  const lines = createInterface(output)
  const seen: string[] = []
  const found = new Promise<number>(resolve => {
    const look = (line: string) => {
      seen.push(line)
      const port = pattern.exec(line)?.[1]
      if (port === undefined) return
      lines.off('line', look)
      resolve(Number(port))
    }
    lines.on('line', look)
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the server ended with ${code}:\n${seen.join('\n')}`)
  })
  return Promise.race([found, ended])
}
