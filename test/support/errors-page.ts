import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const path = fileURLToPath(new URL('../../docs/errors.md', import.meta.url))
const fence = /^```\n([\s\S]*?)^```$/gm

/** `docs/errors.md`, held against what was really produced. `UPDATE_DOCS=1` writes what was produced into the page. */
export class ErrorsPage {
  readonly #sections: Map<string, string>
  readonly #shown = new Set<string>()

  constructor() {
    const [head = '', ...rest] = readFileSync(path, 'utf8').split(/^(?=## )/m)
    this.#sections = new Map([['', head], ...rest.map(text => [text.slice(3, text.indexOf('\n')), text] as const)])
  }

  /** The code blocks of the section `title` are `produced`, in that order, but for what differs from run to run. */
  shows(title: string, ...produced: readonly string[]): void {
    this.#shown.add(title)
    const section = this.#sections.get(title)
    assert.ok(section !== undefined, `docs/errors.md has no section "${title}"`)
    const steady = produced.map(withPlaceholders)
    if (process.env.UPDATE_DOCS === '1') {
      const left = [...steady]
      this.#sections.set(
        title,
        section.replace(fence, () => `\`\`\`\n${left.shift()}\n\`\`\``),
      )
      writeFileSync(path, [...this.#sections.values()].join(''))
    }
    assert.deepEqual(blocksOf(this.#sections.get(title) ?? ''), steady)
  }

  /** Sections with a code block that nothing was held against. */
  get unchecked(): readonly string[] {
    return [...this.#sections]
      .filter(([title, text]) => blocksOf(text).length > 0 && !this.#shown.has(title))
      .map(([title]) => title)
  }
}

/** An error and its causes as Node prints them, without stack and empty fields. */
export function printed(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const fields = ['code', 'flag', 'statusCode', 'attempts', 'cluster', 'endpoint'].flatMap(name => {
    const value: unknown = Reflect.get(error, name)
    return value === undefined || value === '' || value === 0 ? [] : [`${name}: ${value}`]
  })
  const lines = [`${error.name}: ${error.message}`]
  if (fields.length > 0) lines.push(`  ${fields.join(', ')}`)
  if (error.cause !== undefined) lines.push(...`[cause]: ${printed(error.cause)}`.split('\n').map(line => `  ${line}`))
  return lines.join('\n')
}

/** An answer as it comes over the wire, without the headers that every answer has. */
export async function printedAnswer(response: Response): Promise<string> {
  const headers = Array.from(response.headers, ([name, value]) => `${name}: ${value}`)
  return `${[`HTTP ${response.status}`, ...headers, '', await response.text()].join('\n').trimEnd()}`
}

function blocksOf(section: string): readonly string[] {
  return Array.from(section.matchAll(fence), ([, block = '']) => block.trimEnd())
}

function withPlaceholders(text: string): string {
  return text
    .replaceAll(/\/[^\s":,]*\/inmesh-errors-\w{6}/g, '<folder>')
    .replaceAll(/\b127\.0\.0\.1:\d+/g, '127.0.0.1:<port>')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
    .replaceAll(/"duration":\d+/g, '"duration":<ms>')
    .replaceAll(/\b[0-9a-f]{16}\.jsonl/g, '<hash>.jsonl')
    .replaceAll(/"(savedAt|ageMs)":\d+/g, '"$1":<ms>')
}
