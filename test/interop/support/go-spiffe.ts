import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { goProgram } from '../../support/peers.ts'

/** What is asked of `go-spiffe/main.go`. */
export interface SpiffeCommand {
  readonly do: 'grant' | 'refuse' | 'add-root' | 'forget-roots' | 'serve' | 'get' | 'verify' | 'fetch'
  /** Of the Workload API of one workload. */
  readonly socket?: string
  readonly ids?: readonly string[]
  readonly federated?: readonly string[]
  /** Without an authority between the leaf and the root. Default false. */
  readonly byRoot?: boolean
  readonly trustDomain?: string
  /** The SPIFFE ID that a peer must have. */
  readonly authorize?: string
  readonly url?: string
  readonly chain?: string
  readonly key?: string
  readonly roots?: string
}

/** A running `go-spiffe/main.go`. */
export interface GoSpiffe {
  /** Path of a socket for a workload. */
  socket(name: string): string
  /** @throws Error with what go-spiffe says is wrong */
  run(command: SpiffeCommand): Promise<string>
}

/** Starts it until the test ends. */
export async function startGoSpiffe(t: TestContext): Promise<GoSpiffe> {
  const folder = await mkdtemp(join(tmpdir(), 'inmesh-spiffe-'))
  const child = spawn(goProgram('test/interop/go-spiffe'), { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    await rm(folder, { recursive: true, force: true })
  })
  const waiting: ((line: string) => void)[] = []
  createInterface(child.stdout).on('line', line => waiting.shift()?.(line))
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`go-spiffe ended with ${code}`)
  })
  ended.catch(() => {})
  return {
    socket: name => join(folder, `${name}.sock`),
    async run(command) {
      const { promise, resolve } = Promise.withResolvers<string>()
      waiting.push(resolve)
      child.stdin.write(`${JSON.stringify(command)}\n`)
      const { value, error }: { value: string; error: string } = JSON.parse(await Promise.race([promise, ended]))
      if (error !== '') throw new Error(error)
      return value
    },
  }
}
