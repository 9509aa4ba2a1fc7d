import { nullTranslator } from '@jupyterlab/translation';

import { asText, fieldsOf } from './form';

const trans = nullTranslator.load('');

describe('form', () => {
  it('has a field for each parameter, in the order of declaration, with what it takes', () => {
    const fields = fieldsOf(
      {
        schema: {
          properties: {
            rows: { type: 'integer', minimum: 1, maximum: 99 },
            kind: { enum: ['a', 'b'], description: 'Which one.' },
            quick: { type: 'boolean' },
            names: { type: 'array' },
            share: { anyOf: [{ type: 'number', exclusiveMinimum: 0 }, { type: 'null' }] }
          },
          required: ['names']
        },
        order: ['kind', 'rows', 'quick', 'names', 'share'],
        secrets: []
      },
      { kind: 'b', rows: 3, quick: false, share: null },
      trans
    );

    expect(fields.map(field => [field.name, field.kind, field.value, field.expected])).toEqual([
      ['kind', 'choice', 'b', ''],
      ['rows', 'text', '3', 'a whole number, at least 1, at most 99'],
      ['quick', 'switch', 'false', ''],
      ['names', 'text', '', 'a list, as JSON'],
      ['share', 'text', 'null', 'a number, above 0, or null']
    ]);
    expect(fields[0].choices).toEqual(['a', 'b']);
    expect(fields.map(field => field.isRequired)).toEqual([false, false, false, true, false]);
  });

  it('shows a secret as the reference that it is', () => {
    const [field] = fieldsOf(
      {
        schema: { properties: { token: { type: 'string', format: 'secret-reference' } } },
        order: ['token'],
        secrets: ['token']
      },
      { token: 'env:TOKEN' },
      trans
    );

    expect([field.isSecret, field.value, field.expected]).toEqual([
      true,
      'env:TOKEN',
      'a reference: env:NAME or file:PATH'
    ]);
  });

  it('offers a choice that may be nothing', () => {
    const [field] = fieldsOf(
      {
        schema: { properties: { kind: { anyOf: [{ enum: ['a', 2] }, { type: 'null' }] } } },
        order: ['kind'],
        secrets: []
      },
      {},
      trans
    );

    expect(field.choices).toEqual(['a', '2', 'null']);
  });

  it('spells values as they are typed', () => {
    expect(['text', 1.5, true, null, [1, 'a'], undefined].map(asText)).toEqual([
      'text',
      '1.5',
      'true',
      'null',
      '[1,"a"]',
      ''
    ]);
  });
});
