import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { goProgram } from '../../support/peers.ts'
import type { ClientBootstrap } from './xds-client.ts'

/** Starts a server of grpc-go that xDS configures, until the test ends; resolves when it serves. It answers with who calls. */
export async function startGoXdsServer(t: TestContext, { file }: ClientBootstrap, port: number): Promise<void> {
  const env = { ...process.env, GRPC_XDS_BOOTSTRAP: file }
  const args = ['serve', `127.0.0.1:${port}`]
  const child = spawn(goProgram('test/interop/grpc-go-xds'), args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  let log = ''
  child.stderr.on('data', chunk => {
    log = `${log}${chunk}`.slice(-4000)
  })
  const serves = new Promise<void>(resolve =>
    createInterface(child.stdout).on('line', line => {
      log += `${line}\n`
      if (/^serving/i.test(line)) resolve()
    }),
  )
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the server ended with ${code}:\n${log}`)
  })
  await Promise.race([serves, ended])
}
