import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { adminSocketName } from '../ca/admin-server.ts'

/**
 * Asks the control plane that runs on a data folder.
 *
 * @throws when none runs there, or with what it answers instead of a result
 */
export async function askAdmin(data: string, method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
  const socketPath = join(data, 'ca', adminSocketName)
  const answer: unknown = JSON.parse(await send(socketPath, method, path, body === undefined ? '' : JSON.stringify(body)))
  if (typeof answer === 'object' && answer !== null && 'error' in answer) throw new Error(String(answer.error))
  return answer
}

function send(socketPath: string, method: string, path: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const sent = request({ socketPath, method, path, headers, agent: false, timeout: 10_000 }, response =>
      text(response).then(resolve, reject),
    )
    sent.on('timeout', () => sent.destroy(new Error('the control plane does not answer')))
    sent.on('error', error => {
      const isAbsent = 'code' in error && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
      reject(isAbsent ? new Error(`no control plane with a --trust-domain runs on this data folder (${socketPath})`) : error)
    })
    sent.end(body)
  })
}
