/** From the contract of a notebook to the fields of a form. Values are typed as `-p` takes them: as text. */

import type { TranslationBundle } from '@jupyterlab/translation';

export interface IContract {
  schema: { properties?: Record<string, ISchema>; required?: string[] };
  /** The parameters in the order of their declaration. */
  order: string[];
  secrets: string[];
}

export interface ISchema {
  type?: string;
  format?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: ISchema[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
}

export interface IField {
  name: string;
  kind: 'choice' | 'switch' | 'text';
  /** The choices as text, of a field of that kind. */
  choices: string[];
  /** What it takes, in words; for people, the server judges by itself. */
  expected: string;
  description: string;
  isSecret: boolean;
  isRequired: boolean;
  /** The value that it has as long as nobody sets another. */
  value: string;
}

/** The fields for the parameters of a notebook, with the values that the pipeline gives. */
export function fieldsOf(
  contract: IContract,
  values: Record<string, unknown>,
  trans: TranslationBundle
): IField[] {
  const properties = contract.schema.properties ?? {};
  return contract.order.map(name => {
    const schema = properties[name] ?? {};
    const isSecret = contract.secrets.includes(name);
    const choices = isSecret ? [] : choicesOf(schema);
    const kind = choices.length ? 'choice' : schema.type === 'boolean' ? 'switch' : 'text';
    return {
      name,
      kind,
      choices,
      expected: isSecret
        ? trans.__('a reference: env:NAME or file:PATH')
        : // What is offered says itself what can be chosen.
          kind === 'text'
          ? expected(schema, trans)
          : '',
      description: schema.description ?? '',
      isSecret,
      isRequired: (contract.schema.required ?? []).includes(name),
      value: name in values ? asText(values[name]) : ''
    };
  });
}

/** A value as one types it: text as it is, all else as JSON. */
export function asText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function choicesOf(schema: ISchema): string[] {
  if (schema.const !== undefined) {
    return [asText(schema.const)];
  }
  if (schema.enum) {
    return schema.enum.map(asText);
  }
  // A choice that may also be nothing.
  const parts = schema.anyOf ?? [];
  const named = parts.filter(part => part.enum || part.const !== undefined);
  const isRest = (part: ISchema): boolean => part.type === 'null' || named.includes(part);
  return named.length && parts.every(isRest)
    ? [...named.flatMap(choicesOf), ...(parts.some(part => part.type === 'null') ? ['null'] : [])]
    : [];
}

function expected(schema: ISchema, trans: TranslationBundle): string {
  if (schema.anyOf) {
    return schema.anyOf.map(part => expected(part, trans)).join(trans.__(', or '));
  }
  const bound = (limit: unknown, say: (limit: string) => string): string =>
    limit === undefined ? '' : say(String(limit));
  return [
    kindOf(schema, trans),
    bound(schema.minimum, limit => trans.__('at least %1', limit)),
    bound(schema.exclusiveMinimum, limit => trans.__('above %1', limit)),
    bound(schema.maximum, limit => trans.__('at most %1', limit)),
    bound(schema.exclusiveMaximum, limit => trans.__('below %1', limit)),
    bound(schema.multipleOf, limit => trans.__('a multiple of %1', limit)),
    bound(schema.minLength, limit => trans.__('at least %1 characters', limit)),
    bound(schema.maxLength, limit => trans.__('at most %1 characters', limit)),
    bound(schema.pattern, limit => trans.__('matching %1', limit))
  ]
    .filter(Boolean)
    .join(', ');
}

function kindOf(schema: ISchema, trans: TranslationBundle): string {
  const names: Record<string, string> = {
    date: trans.__('a date, such as 2026-01-31'),
    'date-time': trans.__('a date and time, such as 2026-01-31T12:00:00'),
    path: trans.__('a path'),
    integer: trans.__('a whole number'),
    number: trans.__('a number'),
    string: trans.__('text'),
    boolean: trans.__('true or false'),
    array: trans.__('a list, as JSON'),
    object: trans.__('a mapping, as JSON'),
    null: 'null'
  };
  return names[schema.format ?? ''] ?? names[schema.type ?? ''] ?? trans.__('any value');
}
